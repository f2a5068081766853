"""The suite of `cloud.timeseries.port`, by subject."""
