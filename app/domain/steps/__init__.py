"""What a step can be. A type of step is one folder, and whoever needs to know something of a step asks the step.

`base` is what every step has: its key, name and edges, and the answers of one that does nothing special.  `calls`
is what steps that call another system share, `tasks` what a person can be asked, `scope` what is known around a
step while it is checked, `fields` and `rows` what the editor's forms share.  `registry` knows the types.

A folder holds `step` (the type with its capabilities, how its JSON is read and written, its words and its checks),
`form` (the editor's fields and back) and, where it calls out, `request` (templates filled into what is sent).  Its
fields are drawn by `templates/steps/<type>.html`.
"""
