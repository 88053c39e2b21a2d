"""Layouts that anybody may use: tables, folders, EmoBox."""
