"""What a machine offers, and what is slow on it: `facts` are found by `gathering` and judged by `judging`."""
