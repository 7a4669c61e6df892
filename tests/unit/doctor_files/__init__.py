"""Hostile files for the doctor, made small and cheaply. Each builder takes an empty directory and returns a path."""
