"""The trial of what was learnt: a version decides once it was measurably better than what decides today."""
