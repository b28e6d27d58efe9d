"""Options of commands: declared once, and what a function and a command line are made of them."""
