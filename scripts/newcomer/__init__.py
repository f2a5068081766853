"""A newcomer to Tidegate, as a program: installs it, runs it, looks at it from outside."""
