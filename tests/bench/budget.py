"""How long a run takes, and whether there is time for more rounds."""

import time

PART = 3

class Budget:
    def __init__(self, cases, rounds, limit):
        """limit: the seconds that all of it may take, more rounds included."""
        self.rounds = rounds
        self.limit = limit
        self.begin = time.monotonic()
        self.ahead = sum(self.estimate(case) for case in cases)
        self.estimated = self.used = 0.0    # for the usual rounds

    def estimate(self, case):
        """The seconds for the usual rounds, on a machine at rest."""
        rounds = case.rounds(self.rounds) + bool(case.warm)
        return rounds * len(case.contenders) * case.pace()

    def whole(self):
        """The minutes for everything, in words."""
        minutes = self.ahead / 60
        return (f"about {minutes:.0f} minutes" if minutes >= 1.5
                else "a minute or less")

    def done(self, case, seconds):
        """A case has had its usual rounds, in so many seconds."""
        self.ahead -= self.estimate(case)
        self.estimated += self.estimate(case)
        self.used += seconds

    def more(self):
        """The seconds that a case which is done may have for more rounds: a
        part of what is left, for the others may vary as well."""
        slower = self.used / self.estimated if self.estimated else 1.0
        spent = time.monotonic() - self.begin
        return max(0.0, self.limit - spent - slower * self.ahead) / PART
