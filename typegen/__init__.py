"""typegen"""
