"""How the web process meets its clients: a worker of gunicorn's, in which no thread waits for them."""
