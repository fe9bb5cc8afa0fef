"""What is measured through a running `rememberd serve`: what the model gets, and what a real small model answers."""
