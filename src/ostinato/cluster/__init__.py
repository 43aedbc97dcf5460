"""The cluster a run is sent to."""
