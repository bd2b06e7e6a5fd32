"""The facts about a draft in the developer's folders: which named files exist, where named symbols are defined."""
