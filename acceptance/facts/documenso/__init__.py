"""What can be seen of Documenso."""
