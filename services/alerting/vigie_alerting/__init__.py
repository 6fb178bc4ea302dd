"""Rules to transitions, and transitions to notifications that are not lost.

`rules` judges what users write and compiles it, `lifecycle` says what happens to an alert when something is observed,
`templates` renders its texts. All of that is pure: time is always a parameter.
"""
