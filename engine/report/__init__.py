"""One HTML file with everything in it: pictures, plots, figures."""
