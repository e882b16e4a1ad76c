"""How fast the whole thing is: measured in the lab, told as text and one picture.

It measures and asserts nothing. Every figure that can be is also told as a ratio to something
simpler that was measured in the same run, on the same machine: that is what can be compared.
"""
