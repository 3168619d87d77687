"""Addresses in plain data: URLs, hosts, networks, and what each is for; settings and connectors read them alike."""
