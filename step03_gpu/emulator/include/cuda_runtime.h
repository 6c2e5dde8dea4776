// Kernels on the web include it; what they need of it is there already.
#pragma once
