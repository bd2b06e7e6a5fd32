"""What is learnt from outcomes: how to judge a policy on the log of another."""
