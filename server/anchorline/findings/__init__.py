"""Where the money went: each dollar of the bill under one finding or none, and what to do about the costliest."""
