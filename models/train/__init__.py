"""How the weights were made (extra ``train``; nothing else imports this package)."""
