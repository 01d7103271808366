"""HTML for people: a file per first segment of the URL, with templates in the folder of the same name."""
