"""What reaches the disk: whole or not at all, checked when it comes back."""
