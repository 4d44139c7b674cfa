"""The operations, by what they are about.  A function's name is the operation's id."""
