/* What every page loads: the parts that its elements ask for. */
