"""
Clustering
==========
"""

print("to come")
