"""The demo: an application wired to a real SCIM 2.0 server, some people, and the main job done once by script."""
