// Stands in for Gloo's own header, of which c10d's names nothing; see gloo/context.h.
#pragma once
