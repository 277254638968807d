"""Images, a report and arrays of what an adaptive network did with a photograph."""
