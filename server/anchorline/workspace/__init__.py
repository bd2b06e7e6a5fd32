"""What the developer's folders tell about a draft: which named files exist, where named symbols are defined."""
