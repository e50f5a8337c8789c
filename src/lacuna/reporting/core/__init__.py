"""What all reports share: style, tables, number formats, the HTML frame."""
