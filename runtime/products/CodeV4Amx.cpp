// CodeV4Amx: see Code.h. Compiled with this instruction set's flags (CMakeLists.txt): nothing but the functions of its table may be called from elsewhere.
#define PEFT_PRODUCTS_NAME codeV4Amx
#define PEFT_LANES 16
#define PEFT_VECTORS 4
#define PEFT_DOTS 1
#define PEFT_TILES 1
#include "runtime/products/Micro.h"
