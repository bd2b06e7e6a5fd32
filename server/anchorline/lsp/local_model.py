"""The local language model of a session: one engine at a time, replaced when its settings change."""

import asyncio

from anchorline import config
from anchorline.engine.client import Engine


class LocalModel:
    """The engine for the settings in force. Used on the event loop only."""

    def __init__(self) -> None:
        self._engine: Engine | None = None
        self._settings: config.Engine | None = None
        self._closing: list[asyncio.Future[None]] = []

    def of(self, settings: config.Engine) -> Engine | None:
        """Returns the engine for these settings, made at the first call; None where they switch it off."""
        if settings != self._settings:
            self._settings = settings
            self._replace(Engine(settings) if settings.enabled else None)
        return self._engine

    def _replace(self, engine: Engine | None) -> None:
        if self._engine is not None:
            self._closing.append(asyncio.ensure_future(self._engine.close()))
        self._engine = engine

    async def close(self) -> None:
        """Closes each engine that was made."""
        self._replace(None)
        await asyncio.gather(*self._closing, return_exceptions=True)
