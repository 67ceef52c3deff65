"""How right a map is: scenes of other physics than the simulator's, unchanged ground, real passes.

Nothing here uses `sarmap.simulate`: what a detector learnt from must not judge it.
"""
