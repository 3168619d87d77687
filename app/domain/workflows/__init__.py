"""What a workflow is: its steps, read, written and checked, drawn as a graph, described and compared."""
