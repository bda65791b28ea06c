// CodeV3: see Code.h. Compiled with this instruction set's flags (CMakeLists.txt): nothing but the functions of its table may be called from elsewhere.
#define PEFT_PRODUCTS_NAME codeV3
#define PEFT_LANES 8
#define PEFT_VECTORS 2
#define PEFT_DOTS 0
#include "runtime/products/Micro.h"
