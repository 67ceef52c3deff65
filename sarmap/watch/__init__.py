"""An event that is watched: mapped again whenever the radar has passed, until it is over."""
