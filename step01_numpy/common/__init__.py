"""What no stage should write twice, and what holds no attention or model mathematics."""
