/* What TestInstrument puts probes into. */
#define LIMIT(n) ((n) > 0 ? (n) : 1)

static inline int kind(int a)
{
	return a & 3;
}

int pick(int a, int b)
{
	int i;

	/* if (a || b) is no condition in a comment. */
	if (a > LIMIT(2) && !(b || (a ? b : -b) > 1))
		return 1;
	for (i = 0; i < 3; i++)
		a += LIMIT(b);
	switch (kind(a)) {
	case 1:
	case LIMIT(2):
		return 2;
	}
	return a;
}
