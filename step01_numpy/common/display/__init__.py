"""What is shown: heat maps, the tour and its page."""
