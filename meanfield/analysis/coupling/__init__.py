"""Optimal couplings of two weighted point sets on a sphere: costs, programs, trees and levels."""
