"""A plan's limits: what is used of each window, when it will be full at this pace, and what tokens cost of it."""
