"""Exact ranks and costs of the polynomial method, in logarithms: for n that no machine will see.

The setting of the papers: n rows in every mode, entries at most B = x (ln n)^(1/k), so that scores are at most S = B^k =
x^k ln n; width d = ceil(c ln n); an error of epsilon relative to the largest values. A polynomial of degree g takes

  papers     g the smallest with E_g(S) <= (epsilon/2) e^-S, the error of the Chebyshev polynomial; C(k(g+d), kg) monomials
  tight      the same g; C(g+d, g) monomials, which is all that the product of k vectors has of them
  certified  g the smallest even one whose moment bound for entries uniform in [-B, B] is within epsilon, for the query
             with all entries B; C(g+d, g) monomials. No e^-S: the normaliser is at least n^(k-1) by Jensen.

Costs are counted in terms: a term is a monomial of a row, or a tuple of keys of a query. So the polynomial method takes
n r, the exact one n^k.

  k order   n rows   d width   g degree   r rank   E_g(S) = 2 sum over m > g of I_m(S), I_m the modified Bessel functions
"""
import functools
import math

import numpy as np

KINDS = ("papers", "tight", "certified")
largest_moment = 1600


def log_binomial(n, k):
    return math.lgamma(n + 1) - math.lgamma(k + 1) - math.lgamma(n - k + 1)


@functools.lru_cache(maxsize=4096)
def log_chebyshev_errors(score):
    """ln E_g(S) for g = 0, 1, ...; the ratios I_m+1/I_m from the last one down, and I_0 + 2 I_1 + ... = e^S."""
    count = int(score + 12 * math.sqrt(score + 1)) + 700
    ratios = np.empty(count)
    ratio = 0.0
    for m in range(count - 1, -1, -1):
        ratio = 1 / (2 * (m + 1) / score + ratio)
        ratios[m] = ratio
    logs = np.concatenate(([0], np.cumsum(np.log(ratios))))  # ln I_m / I_0
    tails = np.logaddexp.accumulate(logs[::-1])[::-1]        # ln of the sums over m and above
    log_bessel0 = score - np.logaddexp(0, math.log(2) + tails[1])
    return log_bessel0 + math.log(2) + tails[1:]


def first(condition):
    """The first index where it holds, None where it never does."""
    return int(np.argmax(condition)) if condition.any() else None


def papers_degree(score, log_epsilon):
    return first(log_chebyshev_errors(score) <= log_epsilon - math.log(2) - score)


LOG_FACTORIALS = np.concatenate(([0], np.cumsum(np.log(np.arange(1, 40000)))))


@functools.lru_cache(maxsize=None)
def log_moments(order, width, count):
    """ln E[(s/S)^g / g!], g = 0, 2, 4, ...: s/S the mean, over the width, of products of k-1 uniform entries.

    The moments' generating function is the width-th power of that of one coordinate; all terms are positive. They
    are multiplied by count^g on the way, so that none underflows that counts.
    """
    one = np.zeros(count, np.longdouble)
    term = np.longdouble(1)
    for g in range(0, count, 2):
        one[g] = term * np.longdouble(g + 1) ** (1 - order)
        term *= np.longdouble(count) ** 2 / (np.longdouble((g + 1) * (g + 2)) * np.longdouble(width) ** 2)
    power, square, left = None, one, width
    while left:
        if left & 1:
            power = square if power is None else np.convolve(power, square)[:count]
        left //= 2
        if left:
            square = np.convolve(square, square)[:count]
    return np.log(power[::2]).astype(float) - np.arange(0, count, 2) * math.log(count)


def log_half_spread(score, degree):
    """ln kappa, kappa = (h(S) - h(-S)) / 2 with h(x) = g! sum_m x^m / (m+g)!: the odd terms of h."""
    m = np.arange(1, 3 * int(score) + 80, 2)
    return np.logaddexp.reduce(m * math.log(score) - LOG_FACTORIALS[m + degree]) + LOG_FACTORIALS[degree]


@functools.lru_cache(maxsize=None)
def certified_degree(order, width, score, log_epsilon):
    """The smallest even g with range(V) kappa E[s^g] / g! <= epsilon, range(V) = 2; None above largest_moment."""
    degrees = np.arange(2, largest_moment, 2)
    bounds = math.log(2) + degrees * math.log(score) + log_moments(order, width, largest_moment)[1:]
    for degree, bound in zip(degrees, bounds):
        # kappa >= S/(g+1), which is cheap and mostly enough to see that the bound is too large
        if bound + math.log(score / (degree + 1)) > log_epsilon:
            continue
        if bound + log_half_spread(score, int(degree)) <= log_epsilon:
            return int(degree)
    return None


class Setting:
    """Sizes of a problem: k, n = 2^log2_n, x, c, and the exponent C of epsilon = n^-C or a number for it."""

    def __init__(self, order, log2_n, width_factor, epsilon):
        self.order, self.log2_n = order, log2_n
        self.log_n = log2_n * math.log(2)
        self.width = max(1, math.ceil(width_factor * self.log_n))
        self.log_epsilon = -self.log_n if epsilon == "1/n" else math.log(float(epsilon))

    def bound(self, x):
        return x * self.log_n ** (1 / self.order)

    def score(self, x):
        return x**self.order * self.log_n

    def degree(self, kind, score):
        if kind == "certified":
            return certified_degree(self.order, self.width, score, self.log_epsilon)
        return papers_degree(score, self.log_epsilon)

    def log_rank(self, kind, score):
        degree = self.degree(kind, score)
        if degree is None:
            return math.inf
        factor = self.order if kind == "papers" else 1
        return log_binomial(factor * (degree + self.width), factor * degree)

    def exponent(self, kind, score):
        """log(cost) / log(n) of the polynomial method; that of the exact one is k."""
        return 1 + self.log_rank(kind, score) / self.log_n

    def largest_x(self, kind, exponent):
        """The largest x at which the cost is at most n^exponent, 0 where there is none; ranks grow with the scores."""
        low, high = 0.0, 1e-6 * self.log_n
        while self.exponent(kind, high) <= exponent:
            low, high = high, 4 * high
        if low == 0:
            return 0.0
        while high > 1.002 * low:
            middle = math.sqrt(low * high)
            low, high = (middle, high) if self.exponent(kind, middle) <= exponent else (low, middle)
        return (low / self.log_n) ** (1 / self.order)


def limit_exponent(order, x, width_factor, error_exponent=1.0):
    """What the exponent of the tight rank tends to: d = c ln n, S = x^k ln n, g = gamma ln n, epsilon = n^-C."""
    kappa, c = x**order, width_factor
    def misses(gamma):
        return math.hypot(gamma, kappa) - gamma * math.asinh(gamma / kappa) > -error_exponent - kappa
    low, high = 0.0, 1.0
    while misses(high):
        high *= 2
    for _ in range(80):
        middle = (low + high) / 2
        low, high = (middle, high) if misses(middle) else (low, middle)
    gamma = high
    return 1 + (c + gamma) * math.log(c + gamma) - c * math.log(c) - gamma * math.log(gamma)
