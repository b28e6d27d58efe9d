"""The whole story, one module per command. Each takes one frozen configuration and returns what was made."""
