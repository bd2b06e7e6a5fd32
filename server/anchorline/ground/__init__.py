"""Retrieval: the files of the workspace that a draft is about, ranked, each with its probability and its evidence."""
