// Messages to the logger of whichever engine loaded the library.
#pragma once

namespace iic {

// Remembers where the logger is found: the pointer that setLoggerFinder() was given, of either layout (logger.cpp).
void setFinder(void* finder) noexcept;

// Logs "iic::", the operator's name, ": " and the text at the severity of an error; to stderr while there is no logger.
// Texts over 500 characters are cut. Throws nothing.
__attribute__((format(printf, 2, 3))) void logError(const char* name, const char* format, ...) noexcept;

}  // namespace iic
