"""What every room needs: checks of arguments, files written whole or not at all, threads."""
