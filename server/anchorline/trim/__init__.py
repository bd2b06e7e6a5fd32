"""What can be left out of a prompt without a loss."""
