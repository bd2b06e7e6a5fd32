"""An analysis that is under way when something changes."""

import asyncio

import pytest
from pygls.exceptions import JsonRpcContentModified

from anchorline.lint.finding import Finding
from anchorline.lsp.analysis import Analyses, DocumentAnalysis, PendingAnalysis, Snapshot
from anchorline.lsp.documents import Document


class Running:
    """Analyses that end when they are let; each has one finding, which names the generation that it belongs to."""

    def __init__(self) -> None:
        self.document = Document("file:///fix.prompt.md", version=1, text="Fix it.")
        self.generation = 0
        self.let = asyncio.Event()
        self.analyses = Analyses(self.analyse)

    async def analyse(self, snapshot: Snapshot) -> DocumentAnalysis:
        await self.let.wait()
        return DocumentAnalysis(findings=(Finding("AL101", str(snapshot.generation), "hint", 0, 1),))

    def pending(self) -> PendingAnalysis:
        return PendingAnalysis(
            lambda: self.analyses.of(self.document, self.generation), lambda: self.document.version == 1
        )


async def test_settings_that_arrive_meanwhile_hold_for_the_answer():
    running = Running()
    answer = asyncio.ensure_future(running.pending()._wait())
    await asyncio.sleep(0)
    running.generation = 1
    running.let.set()
    analysis = await answer
    assert analysis is not None
    assert [finding.message for finding in analysis.findings] == ["1"]


async def test_a_document_that_changes_meanwhile_is_refused():
    running = Running()
    answer = asyncio.ensure_future(running.pending()._wait())
    await asyncio.sleep(0)
    running.document.version = 2
    running.let.set()
    with pytest.raises(JsonRpcContentModified):
        await answer
