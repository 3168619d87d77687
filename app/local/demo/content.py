"""What the demo is made of, but for its workflows: these are the catalogue's for SCIM 2.0."""

from __future__ import annotations

APPLICATION = {
    "name": "Demo directory",
    "description": "A real SCIM 2.0 server that runs beside this console.",
    "vendor": "scim2-server",
    "category": "Directory",
}
CONNECTION = "SCIM server"

PEOPLE = (
    {"email": "ada@example.org", "first_name": "Ada", "last_name": "Lovelace", "employee_id": "E-1815"},
    {"email": "grace@example.org", "first_name": "Grace", "last_name": "Hopper", "employee_id": "E-1906"},
    {"email": "edsger@example.org", "first_name": "Edsger", "last_name": "Dijkstra", "employee_id": "E-1930"},
    {"email": "barbara@example.org", "first_name": "Barbara", "last_name": "Liskov", "employee_id": "E-1939"},
    {"email": "radia@example.org", "first_name": "Radia", "last_name": "Perlman", "employee_id": "E-1951"},
)
