"""What a word is."""
import re


def words(text):
    return [word.lower() for word in re.findall(r"\w+", text)]
