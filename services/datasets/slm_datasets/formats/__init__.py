"""Reading and checking file formats: from an uploaded file to a frame of rows, or to the problems it has."""
